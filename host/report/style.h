/* The text of style.css, which CMake puts into the program. */
#ifndef TAPER_STYLE_H
#define TAPER_STYLE_H

extern const char report_style[];

#endif
