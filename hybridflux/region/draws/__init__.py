"""What differs between draws besides parameters, a file a source of uncertainty: effects of places, vegetation, structural error."""
