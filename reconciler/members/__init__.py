"""Who is which member: claim, place, judge. Pure decisions beside one controller."""
