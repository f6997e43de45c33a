"""The contenders: one file each, with the application that is guarded and what guards it, as its own documents have it."""
