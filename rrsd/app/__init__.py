"""The composition root: the only place that knows every role and every driver."""
