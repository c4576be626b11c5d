"""Azure Resource Manager templates to evaluated resources. Pure: a template in, values out."""
