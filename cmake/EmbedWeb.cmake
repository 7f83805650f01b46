# Makes of every file below WEB a part of the daemon: OUT/assets.c holds its bytes, its type, a
# version of its content and, where that is shorter, its gzip form; OUT/assets.def its route.
#   cmake -DWEB=FOLDER -DOUT=FOLDER -P EmbedWeb.cmake
cmake_minimum_required(VERSION 3.25)

function(type_of file out)
    set(types .html "text/html\; charset=utf-8" .css "text/css\; charset=utf-8"
        .js "text/javascript\; charset=utf-8" .json "application/json" .svg "image/svg+xml"
        .png "image/png" .ico "image/vnd.microsoft.icon" .woff2 "font/woff2"
        .txt "text/plain\; charset=utf-8")
    get_filename_component(extension ${file} LAST_EXT)
    list(FIND types "${extension}" at)
    if(at EQUAL -1)
        message(FATAL_ERROR "web/${file}: no type is known for '${extension}': name it here")
    endif()
    math(EXPR at "${at} + 1")
    list(GET types ${at} type)
    set(${out} "${type}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE files RELATIVE ${WEB} ${WEB}/*)
list(SORT files)
set(symbols "")
set(rows "")
set(routes "")
set(number 0)
foreach(file ${files})
    if(NOT file MATCHES "^[A-Za-z0-9_./-]+$")
        message(FATAL_ERROR "web/${file}: a name of letters, digits and _.- was expected")
    endif()
    type_of(${file} type)
    file(SHA256 ${WEB}/${file} hash)
    string(SUBSTRING ${hash} 0 16 version)
    file(SIZE ${WEB}/${file} size)
    set(packed ${OUT}/${number}.gz)
    file(ARCHIVE_CREATE OUTPUT ${packed} PATHS ${WEB}/${file} FORMAT raw COMPRESSION GZip
         COMPRESSION_LEVEL 9 MTIME 0)
    file(SIZE ${packed} packed_size)
    string(APPEND symbols "EMBED(asset_${number}, \"${WEB}/${file}\");\n")
    set(packed_range "NULL, NULL")
    if(packed_size LESS size)
        string(APPEND symbols "EMBED(packed_${number}, \"${packed}\");\n")
        set(packed_range "packed_${number}, packed_${number}_end")
    endif()
    string(APPEND rows "    {\"/${file}\", \"${type}\", asset_${number}, asset_${number}_end,\n"
                       "     ${packed_range}, \"\\\"${version}\\\"\", \"\\\"${version}-gz\\\"\"},\n")
    string(APPEND routes "MPX_ROUTE(MPX_GET, \"/${file}\", mpx_route_page, MPX_NEED_READ, NULL, "
                         "0, \"a page, or a part of one\")\n")
    math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUT}/assets.c "// Made by cmake/EmbedWeb.cmake of web/.

#include \"daemon/pages.h\"

#define EMBED(symbol, file)                                                              \\
    __asm__(\".pushsection .rodata\\n\" #symbol \":\\n.incbin \\\"\" file \"\\\"\\n\" #symbol           \\
            \"_end:\\n.byte 0\\n.popsection\\n\");                                           \\
    extern const char symbol[] __attribute__((visibility(\"hidden\")));                    \\
    extern const char symbol##_end[] __attribute__((visibility(\"hidden\")))

${symbols}
const struct mpx_page mpx_pages[] = {
${rows}};
const size_t mpx_page_count = sizeof mpx_pages / sizeof *mpx_pages;
")
file(WRITE ${OUT}/assets.def "${routes}")
