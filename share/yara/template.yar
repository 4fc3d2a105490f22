rule template_escape {
  meta:
    id = "YARA-060"
    description = "template expression that reaches Python's internals"
    severity = "reject"
  strings:
    $a = "|attr('__class__')"
    $b = "|attr(\"__class__\")"
    $c = "|attr('\\x5f\\x5f"
    $d = "|attr(\"\\x5f\\x5f"
    $e = "lipsum.__globals__"
    $f = "joiner.__init__"
    $g = "namespace.__init__"
    $h = "self.__init__.__globals__"
    $i = "request.application.__globals__"
    $j = "config.__class__.__init__"
    $k = "url_for.__globals__"
    $l = "get_flashed_messages.__globals__"
  condition: any of them
}
rule hydra_target {
  meta:
    id = "YARA-061"
    description = "configuration that instantiates a dangerous object"
    severity = "reject"
  strings:
    $a = "_target_: os.system"
    $b = "\"_target_\": \"os.system\""
    $c = "_target_: builtins.exec"
    $d = "\"_target_\": \"builtins.exec\""
    $e = "_target_: builtins.eval"
    $f = "\"_target_\": \"builtins.eval\""
    $g = "_target_: subprocess."
    $h = "\"_target_\": \"subprocess."
    $i = "!!python/object/apply:"
    $j = "!!python/object/new:"
  condition: any of them
}
