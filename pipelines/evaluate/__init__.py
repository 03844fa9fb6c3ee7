"""What the ladder's steps are worth: harmonization of vendors, measured on patients that no curve was fitted on."""
