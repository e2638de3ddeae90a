"""Pages of one HTML file that need nothing beside it: templates, their style sheet and scripts, thumbnails."""
