"""Small valid records for cases, one module a contract. The seed's sample values are the seed's."""
