rule raw_paste_address {
  meta:
    id = "YARA-040"
    description = "address of a paste service that serves raw text, as malware uses it to fetch commands"
    severity = "reject"
  strings:
    $a = "https://pastebin.com/raw/"
    $b = "http://pastebin.com/raw/"
    $c = "https://paste.ee/r/"
    $d = "https://hastebin.com/raw/"
    $e = "https://transfer.sh/get/"
    $f = "https://ghostbin.com/paste/"
    $g = "https://rentry.co/raw/"
    $h = "https://0x0.st/"
  condition: any of them
}
rule exfiltration_address {
  meta:
    id = "YARA-041"
    description = "address that malware uses to send data out"
    severity = "reject"
  strings:
    $a = "https://discord.com/api/webhooks/"
    $b = "https://discordapp.com/api/webhooks/"
    $c = "https://api.telegram.org/bot"
    $d = "https://webhook.site/"
    $e = ".ngrok-free.app/"
    $f = ".oastify.com"
    $g = ".burpcollaborator.net"
    $h = ".interact.sh/"
    $i = "https://requestbin."
  condition: any of them
}
rule hidden_service_address {
  meta:
    id = "YARA-042"
    description = "address of a hidden service"
    severity = "warning"
  strings:
    $a = ".onion/api"
    $b = ".onion/gate.php"
    $c = ".onion.to/"
    $d = ".onion.ws/"
  condition: any of them
}
