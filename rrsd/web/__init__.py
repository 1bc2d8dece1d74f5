"""HTTP manners that every role shares."""
