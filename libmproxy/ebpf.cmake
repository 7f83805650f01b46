# lib/mproxy/ebpf.so: system calls counted in the kernel. The program for the kernel is compiled
# by clang, and needs no headers of the running kernel: the loader adapts it.
pkg_check_modules(LIBBPF IMPORTED_TARGET libbpf)
pkg_check_modules(SECCOMP IMPORTED_TARGET libseccomp)
find_program(CLANG clang)
find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
    set(bpf_arch x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(bpf_arch arm64)
endif()
if(NOT LIBBPF_FOUND OR NOT SECCOMP_FOUND OR NOT CLANG OR NOT BPFTOOL OR NOT bpf_arch)
    mproxy_left_out("system calls by eBPF" "wants libbpf, libseccomp, clang and bpftool")
    return()
endif()

set(dir ${CMAKE_CURRENT_SOURCE_DIR}/syscalls)
set(out ${CMAKE_CURRENT_BINARY_DIR}/ebpf)
file(MAKE_DIRECTORY ${out})
set(system_headers "")
if(CMAKE_LIBRARY_ARCHITECTURE)
    set(system_headers -isystem /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
endif()
# v3: additions that return what was there before.
add_custom_command(
    OUTPUT ${out}/syscalls.skel.h
    COMMAND ${CLANG} -O2 -g -Wall -target bpf -mcpu=v3 -D__TARGET_ARCH_${bpf_arch}
            ${system_headers} -I${CMAKE_CURRENT_SOURCE_DIR} -c ${dir}/syscalls.bpf.c
            -o ${out}/syscalls.bpf.o
    COMMAND ${BPFTOOL} gen skeleton ${out}/syscalls.bpf.o name syscalls_bpf
            > ${out}/syscalls.skel.h
    DEPENDS ${dir}/syscalls.bpf.c ${dir}/shared.h
            ${CMAKE_CURRENT_SOURCE_DIR}/launch/mark.h
    VERBATIM)
add_library(mproxy_ebpf MODULE ${dir}/backend.c ${dir}/pinned.c ${out}/syscalls.skel.h)
target_include_directories(mproxy_ebpf PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${out}
                           ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(mproxy_ebpf PRIVATE mproxy_flags PkgConfig::LIBBPF
                      PkgConfig::SECCOMP)
set_target_properties(mproxy_ebpf PROPERTIES PREFIX "" OUTPUT_NAME ebpf
                      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/mproxy
                      SKIP_BUILD_RPATH ON INSTALL_RPATH "")
install(TARGETS mproxy_ebpf LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/mproxy)
