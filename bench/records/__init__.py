"""Records and the table: what runs leave behind, and the one view of it that everything else reads."""
