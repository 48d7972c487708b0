"""How an executor works and where its tasks go, checked when it is said."""
