"""The contenders, a file each: the application and what guards it, put together as its own documents have it."""
