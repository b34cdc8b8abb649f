"""What Hadoop's daemons have in common: settings in files, and a small JVM each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from services.jars import daemon_jars
from tf2spark.spark.java import ensure_java

# Small heaps and a quick start: a daemon lives for one test.
_JAVA_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# A daemon logs everything to its standard error.
_LOG4J = """log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n
"""


def write_settings(conf: Path, **files: Mapping[str, str]) -> None:
    """Write settings into the folder `conf`: ``core_site`` becomes core-site.xml."""
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "log4j.properties").write_text(_LOG4J)
    for name, settings in files.items():
        (conf / f"{name.replace('_', '-')}.xml").write_text(_xml(settings))


def _xml(settings: Mapping[str, str]) -> str:
    lines = [
        f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in settings.items()
    ]
    return "\n".join(["<configuration>", *lines, "</configuration>", ""])


def daemon_command(conf: Path, main_class: str, *arguments: str) -> list[str]:
    """Return the command that runs a daemon's class with the settings in `conf`."""
    java = str(ensure_java().home / "bin" / "java")
    class_path = os.pathsep.join(str(entry) for entry in [conf, *daemon_jars()])
    return [java, *_JAVA_OPTIONS, "-cp", class_path, main_class, *arguments]
