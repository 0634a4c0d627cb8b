/* unicode.h - general categories of characters (Unicode Standard, 4.5). Pure. */
#ifndef CODEC_UNICODE_H
#define CODEC_UNICODE_H

#include "base/str.h"

#include <stdint.h>

enum unicode_category {
    UNICODE_LU,
    UNICODE_LL,
    UNICODE_LT,
    UNICODE_LM,
    UNICODE_LO,
    UNICODE_MN,
    UNICODE_MC,
    UNICODE_ME,
    UNICODE_ND,
    UNICODE_NL,
    UNICODE_NO,
    UNICODE_PC,
    UNICODE_PD,
    UNICODE_PS,
    UNICODE_PE,
    UNICODE_PI,
    UNICODE_PF,
    UNICODE_PO,
    UNICODE_SM,
    UNICODE_SC,
    UNICODE_SK,
    UNICODE_SO,
    UNICODE_ZS,
    UNICODE_ZL,
    UNICODE_ZP,
    UNICODE_CC,
    UNICODE_CF,
    UNICODE_CS,
    UNICODE_CO,
    UNICODE_CN,
    UNICODE_CATEGORIES,
};

#define UNICODE_ALL ((UINT32_C(1) << UNICODE_CATEGORIES) - 1)

/* The category of a character below 0x110000. */
enum unicode_category unicode_category(uint32_t c) PURE;
/* A category or a group of them by its name, short or long ("Lu", "Uppercase_Letter", "L", "Letter"): a bit for each; 0: there is none. */
uint32_t unicode_categories(struct str name) PURE;

#endif
