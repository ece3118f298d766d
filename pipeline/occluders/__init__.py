"""What hides a face, drawn by code alone: no photographs, no downloads."""
