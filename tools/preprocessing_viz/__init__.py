"""Look at what preprocessing has left: stored faces, or rPPG-Toolbox's chunks."""
