"""Text that is drawn into pixels: found, judged, blanked, and looked for once more."""
