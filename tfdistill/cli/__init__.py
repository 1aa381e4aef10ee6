"""The command line: `tfdistill COMMAND --flags`."""
