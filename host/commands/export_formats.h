/* The trained network as files for other programs. */
#ifndef TAPER_EXPORT_FORMATS_H
#define TAPER_EXPORT_FORMATS_H

#include "commands/options.h"
#include "training/run.h"

/* Writes the trained network `name`: NAME.onnx and NAME.py, or the one format that the options
 * name. */
enum status export_formats(const struct run *run, const struct options *options, const char *name);

#endif
