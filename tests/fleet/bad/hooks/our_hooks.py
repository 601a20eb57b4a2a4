instance = 1
