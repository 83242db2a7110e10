"""What the files of a service require, and the request for a resolver that is made of it for a cell."""
