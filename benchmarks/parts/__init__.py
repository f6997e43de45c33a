"""What is measured, a file each: ``run(settings) -> Result``."""
