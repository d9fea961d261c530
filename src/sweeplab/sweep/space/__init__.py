"""What a sweep searches: the grammar of the command line, domains, conditions. Imports no other room of the sweep."""
