"""A plan in words: text for a terminal, JSON for tools, Markdown for a pull request. The same words in each."""
