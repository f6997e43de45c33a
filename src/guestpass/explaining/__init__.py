"""Why a request is let in or refused, check by check, as the pipeline itself came across it."""
