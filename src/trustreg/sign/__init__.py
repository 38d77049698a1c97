"""What comes next: keys that sign, staged changes, drafts."""
