"""The pages: plain HTML that a site makes its own by overriding templates."""
