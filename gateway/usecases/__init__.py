"""One verb each: ask the store, let the domain decide, record who asked. No framework."""
