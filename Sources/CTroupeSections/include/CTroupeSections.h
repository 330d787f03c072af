#ifndef TROUPE_SECTIONS_H
#define TROUPE_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>

/// Called once for each image (the executable and every shared library loaded so far) that has records of accessible
/// functions: `start` is the first of `length` bytes, which stay mapped as long as the image does.
typedef void (*troupe_section_body)(const void *start, size_t length, void *context);

/// Walks the sections `swift5_accessible_functions` of all images that the Swift runtime knows.
/// Returns false when this runtime describes its images in a way that is not understood here.
bool troupe_for_each_accessible_section(troupe_section_body body, void *context);

/// The human-readable form of a mangled name, to be freed by the caller; null when `name` is not a mangled name.
char *troupe_demangle(const char *name, size_t length);

/// Whether the type with metadata `type` conforms to the one protocol P when `existential` is the metadata of `any P`.
/// False when `existential` is anything else.
bool troupe_conforms(const void *type, const void *existential);

#endif
