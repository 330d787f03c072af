#include "CTroupeSections.h"

#include <stdint.h>

// The Swift runtime's own description of an image, as far as it is used here. Its ABI only ever grows at the end, and
// counts `version` up then; version 3 was the first with the accessible functions.

struct section_range {
    uintptr_t start;
    size_t length;
};

struct image_sections {
    uintptr_t version;
    const void *base;
    void *unused[2];
    struct section_range before[12];
    struct section_range accessible_functions;
};

enum { first_version_with_accessible_functions = 3 };

extern void swift_enumerateAllMetadataSections(bool (*body)(const void *, void *), void *context);
extern char *swift_demangle(const char *name, size_t length, char *output, size_t *output_size, uint32_t flags);
extern const void *swift_conformsToProtocol(const void *type, const void *protocol);

struct walk {
    troupe_section_body body;
    void *context;
    bool understood;
};

static bool visit(const void *image, void *context) {
    struct walk *walk = context;
    const struct image_sections *sections = image;
    if (sections->version < first_version_with_accessible_functions) {
        walk->understood = false;
        return false;
    }
    struct section_range range = sections->accessible_functions;
    if (range.length > 0) walk->body((const void *)range.start, range.length, walk->context);
    return true;
}

bool troupe_for_each_accessible_section(troupe_section_body body, void *context) {
    struct walk walk = {body, context, true};
    swift_enumerateAllMetadataSections(visit, &walk);
    return walk.understood;
}

char *troupe_demangle(const char *name, size_t length) {
    return swift_demangle(name, length, NULL, NULL, 0);
}

// Metadata of an existential type: a kind, flags, the count of protocols, then (without a superclass) the protocols.
struct existential {
    uintptr_t kind;
    uint32_t flags;
    uint32_t protocol_count;
    const void *protocols[];
};

enum { existential_kind = 0x303, has_superclass = 0x40000000 };

bool troupe_conforms(const void *type, const void *existential) {
    const struct existential *any = existential;
    if (any->kind != existential_kind || any->protocol_count != 1 || (any->flags & has_superclass)) return false;
    return swift_conformsToProtocol(type, any->protocols[0]) != NULL;
}
