"""From the commands of scripts to the steps that install: folders, variables, conditions, files and options."""
