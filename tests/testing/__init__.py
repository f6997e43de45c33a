"""The testing kit, held to what it promises."""
