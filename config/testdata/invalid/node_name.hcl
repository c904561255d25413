node { name = [] }
