/* Words of the network's enums, as files spell them; NULL at the end. */
#ifndef TAPER_WORDS_H
#define TAPER_WORDS_H

extern const char *const layer_words[], *const activation_words[], *const bypass_words[];

#endif
