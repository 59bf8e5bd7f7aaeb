"""What arrives: messages, their exact lines and values, spool files, and the files of BATCH messages."""
