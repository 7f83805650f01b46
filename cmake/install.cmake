# What goes under the prefix, apart from the tools and exporters, which their folders install.
include(CMakePackageConfigHelpers)

install(TARGETS mproxy_client mproxy EXPORT mproxyTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION include)
install(DIRECTORY include/mproxy DESTINATION include FILES_MATCHING PATTERN "*.h")

foreach(module mproxy mproxy-client proxyclient)
    configure_file(cmake/${module}.pc.in cmake/${module}.pc @ONLY)
    if(NOT module STREQUAL "proxyclient" OR TARGET proxyclient)
        install(FILES ${CMAKE_BINARY_DIR}/cmake/${module}.pc
                DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    endif()
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mproxy)
install(EXPORT mproxyTargets NAMESPACE mproxy:: DESTINATION ${package_dir})
configure_package_config_file(cmake/mproxyConfig.cmake.in cmake/mproxyConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(cmake/mproxyConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmake/mproxyConfig.cmake
              ${CMAKE_BINARY_DIR}/cmake/mproxyConfigVersion.cmake
        DESTINATION ${package_dir})

# As in the sources, so that links from the README lead somewhere.
install(FILES LICENSE README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILES_MATCHING PATTERN "*.md")
