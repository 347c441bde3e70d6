"""One checkpoint against its model."""
