def run(world, report): pass
