/* What the command of a metric answers: {"id": 7, "value": 12.5} or {"id": 7, "error": "..."}. */
#ifndef TAPER_REPLY_H
#define TAPER_REPLY_H

#include "metric/metric.h"

/* The metric and its command in front of a sentence about what came. */
#define COMMAND_SAYS "metric \"%s\": command `%s` "
#define COMMAND_OF(config) (config)->name, (config)->command

/* The number in the line that came for question `asked`; on failure *value is unchanged. */
enum status reply_value(const struct metric_config *config, const char *line, long long asked,
                        double *value);

#endif
