# A configuration without any block is one of a daemon that does nothing yet.
