"""The pages' code blocks: found, run, compared and written again."""
