"""Commands that are more than one call, and the options that several commands share."""
