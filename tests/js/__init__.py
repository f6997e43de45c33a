"""The browser module in Node, and through TypeScript's checker."""
