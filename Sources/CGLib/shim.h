// Only here so that pkg-config tells the compiler where GLib's headers are; CTroupeQUIC is who includes them.
#pragma once
