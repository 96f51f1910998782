"""Query/Retrieve as provider (PS3.4 Annex C): C-FIND, C-MOVE and C-GET."""
