/* The rows of strategy.c's table. */
#ifndef TAPER_STRATEGY_TYPES_H
#define TAPER_STRATEGY_TYPES_H

#include "search/strategy.h"

extern const struct strategy_type strategy_multi_layer, strategy_single_layer, strategy_random,
    strategy_uniform_scaling, strategy_evolution;

#endif
