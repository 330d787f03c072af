#include "CDigits.h"

// Clang takes #embed in every C standard and says so.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char csv[] = {
#embed "digits.csv"
};

const unsigned char *troupe_digits_csv(size_t *size) {
    *size = sizeof csv;
    return csv;
}
