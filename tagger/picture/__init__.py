"""Photo bytes to arrays: decoding within limits, fitting to the network's input."""
