"""The one script for Glue, EMR and spark-submit: README.md beside it has the forms to copy."""

from quality.entry import main

if __name__ == "__main__":
    main()
